"""The grammar of the oracle corpus, as data, and its reader; `ceae_core.corpora.oracle` computes with it.

How to read GRAMMAR
    HEAD.x.y : 3 some words OTHER.x | 1 more WORDS?40 .   alternatives with weights; `?40` = present in 40 % of cases
    HEAD.x.y = often rarer rarest                         words in order of frequency: weight 1 / rank
A symbol starts with a capital and carries features after dots.  A one-letter feature is a variable.  Bound on the left,
it is passed down, which makes distant words agree; met first on the right, it is drawn from FEATURES.  `~s` is the
other sentiment.  `was/were/is/are`: word forms over the values of the head's last variables; `taco+` = `taco/tacos`,
`help*` = `helped/helped/helps/help`, `no_time` = two words.  An indented line goes on, `#` starts a comment line.
"""
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from math import prod

NUMBER = {"sg": .65, "pl": .35}
ASPECT = {"food": .42, "staff": .25, "place": .15, "drink": .10, "price": .08}
FEATURES: dict[str, dict[str, float]] = {                   # variable -> its values and their probabilities
    "s": {"neg": .5, "pos": .5},
    "t": {"italian": .25, "mexican": .20, "asian": .18, "grill": .15, "cafe": .12, "bar": .10},
    "y": {"plain": .5, "chatty": .3, "formal": .2},
    "k": {"past": .65, "pres": .35},
    "w": {"i": .4, "we": .6},
    "a": ASPECT, "b": ASPECT, "n": NUMBER, "m": NUMBER,
}
LATENTS = {"s": "sentiment", "t": "topic", "y": "style", "k": "tense", "w": "narrator"}     # the labels of a review
OPPOSITE = {"neg": "pos", "pos": "neg"}

GRAMMAR = """
# A review, its clauses and its phrases
ROOT : 1 REVIEW.s.t.y.k.w
REVIEW.s.t.y.k.w : 24 LONG.s.t.y.k.w END.y | 11 OPEN.s.y , SHORT.s.t.y.k.w END.y
  | 17 WHEN.t.k.w , SHORT.s.t.y.k.w END.y | 18 SHORT.s.t.y.k.w and SHORT.s.t.y.k.w END.y
  | 6 LONG.~s.t.y.k.w but PLAIN.s.t.y.k END.y | 3 although SHORT.~s.t.y.k.w , SHORT.s.t.y.k.w END.y
  | 3 SHORT.~s.t.y.k.w , yet BACK.s.w END.y | 12 PLAIN.s.t.y.k so BACK.s.w END.y
  | 5 ADJ.a.s N.a.t.pl , ADJ.b.s N.b.t.pl END.y | 3 DEG.y ADJ.a.s N.a.t.pl END.y
LONG.s.t.y.k.w : 60 the N.a.t.n MOD.a.t.n.k.w BE.k.n PRED.a.s.y
  | 14 WE.w GET.k the N.food.t.n and THEY.n BE.k.n PRED.food.s.y | 10 WE.w LIKE.s.k the N.a.t.n MOD.a.t.n.k.w
  | 16 SHORT.s.t.y.k.w
SHORT.s.t.y.k.w : 50 the N.a.t.n BE.k.n PRED.a.s.y | 16 WE.w REALLY.y?30 LIKE.s.k the N.a.t.n
  | 16 the N.staff.t.n ACT.s.t.k.n.w | 8 it TAKE.k TIME.s to get MY.w N.food.t.n
  | 4 this VENUE.t BE.k.sg PRED.place.s.y | 6 the N.food.t.n and the N.drink.t.m BE.k.pl DEG.y?40 ADJ.food.s
PLAIN.s.t.y.k : 1 the N.a.t.n BE.k.n DEG.y?35 ADJ.a.s
ADJ.a.s : 1 FINE.s | 1 KIND.a.s
PRED.a.s.y : 45 ADJ.a.s | 35 DEG.y ADJ.a.s | 20 ADJ.a.s and FEEL.s
MOD.food.t.n.k.w : 5 at this VENUE.t | 3 with the N.food.t.m | 3 that came with MY.w N.drink.t.m | 3 that WE.w GET.k
  | 1 from the SPOT
MOD.drink.t.n.k.w : 4 at this VENUE.t | 3 that came with MY.w N.food.t.m | 3 that WE.w GET.k
MOD.staff.t.n.k.w : 4 who SERVE.k.n ME.w | 3 who BRING.k.n MY.w N.drink.t.m | 2 who BRING.k.n the N.food.t.m
  | 2 at the SPOT | 2 at this VENUE.t
MOD.place.t.n.k.w : 4 at this VENUE.t | 3 near the SPOT | 2 that WE.w PICK.k
MOD.price.t.n.k.w : 4 for the N.food.t.m | 3 at this VENUE.t | 2 of MY.w N.drink.t.m
ACT.pos.t.k.n.w : 5 HELP.k.n ME.w | 3 BRING.k.n ME.w free N.drink.t.pl | 3 RECOMMEND.k.n the N.food.t.m
ACT.neg.t.k.n.w : 5 HURT.k.n ME.w | 3 BRING.k.n ME.w the wrong N.food.t.m | 3 FORGET.k.n MY.w N.drink.t.m
WHEN.t.past.w : 5 at this VENUE.t | 5 when WE.w visited this VENUE.t | 3 last DAY | 2 on MY.w first visit
WHEN.t.pres.w : 5 at this VENUE.t | 5 whenever WE.w visit this VENUE.t | 3 every DAY | 2 on most days
BACK.pos.w : 5 WE.w will SURELY?60 be back | 3 WE.w will RETURN soon | 3 WE.w can not wait to RETURN
  | 2 WE.w would recommend it to EVERYONE
BACK.neg.w : 5 WE.w will NEVER be back | 3 WE.w will NEVER RETURN | 2 WE.w had to LEAVE early
  | 2 WE.w would NEVER recommend it to EVERYONE
END.plain : 9 . | 1 !
END.chatty : 5 ! | 3 . | 2 ! !
END.formal : 1 .

# Function words
BE.k.n = was/were/is/are
WE.w = i/we
ME.w = me/us
MY.w = my/our
THEY.n = it/they
NEVER = never not
OPEN.s.y = overall/well/frankly honestly/okay/indeed this_time/so/in_short as_always/listen/as_expected
OPEN.pos.y = luckily/wow/fortunately thankfully/yes/remarkably happily/yay/to_our_delight
OPEN.neg.y = sadly/ugh/regrettably unfortunately/yikes/alas again/sorry/to_our_dismay
DEG.y = very/so/rather really/super/exceptionally quite/totally/remarkably too/insanely/particularly
  pretty/crazy/somewhat surprisingly/unbelievably/notably
REALLY.y = totally/absolutely/truly really/seriously/sincerely
SURELY = definitely certainly surely gladly probably

# Verbs
TAKE.k = took/takes
GET.k = ordered/order had/have tried/try shared/share picked/pick chose/choose sampled/sample
PICK.k = chose/choose booked/book liked/like reserved/reserve
SERVE.k.n = serve* help* seat* greet* welcome*
BRING.k.n = brought/brought/brings/bring serve* hand* offer* pour*
HELP.k.n = help* remember* thank* welcome* charm* spoil* pamper* impress* surprise*
RECOMMEND.k.n = recommend* suggest* explain* praise*
HURT.k.n = ignore* rush* insult* overcharge* annoy* avoid* mock* offend* interrupt*
FORGET.k.n = forgot/forgot/forgets/forget spill* dropped/dropped/drops/drop lost/lost/loses/lose delay*
LIKE.pos.k = loved/love enjoyed/enjoy liked/like adored/adore appreciated/appreciate admired/admire savored/savor
  praised/praise
LIKE.neg.k = hated/hate disliked/dislike regretted/regret avoided/avoid despised/despise questioned/question
RETURN = return come_back visit_again
LEAVE = leave go complain escape

# Adjectives
FEEL.pos = memorable impressive satisfying delightful charming exceptional special flawless
FEEL.neg = annoying sad unacceptable shameful depressing frustrating forgettable embarrassing
FINE.pos = great good amazing wonderful fantastic perfect excellent
FINE.neg = bad terrible awful horrible disappointing poor mediocre
KIND.food.pos = delicious fresh tasty flavorful hot crispy tender juicy authentic crunchy fluffy savory homemade
  fragrant heavenly spicy
KIND.food.neg = cold bland dry soggy greasy burnt stale overcooked salty raw tasteless tough undercooked mushy
  watery inedible
KIND.drink.pos = strong refreshing cold smooth delicious unique creamy sweet balanced fruity
KIND.drink.neg = weak watery warm flat bitter sour diluted lukewarm undrinkable sugary
KIND.staff.pos = friendly nice attentive helpful polite sweet professional knowledgeable kind quick patient cheerful
  welcoming courteous
KIND.staff.neg = rude slow unfriendly clueless impatient lazy arrogant careless inattentive pushy dismissive
  confused grumpy incompetent
KIND.place.pos = clean nice cozy beautiful lovely comfortable spacious bright romantic cute elegant quiet charming
  relaxing
KIND.place.neg = dirty loud crowded dark cramped noisy sticky filthy uncomfortable messy smelly outdated shabby
  freezing
KIND.price.pos = fair reasonable low affordable honest decent modest
KIND.price.neg = high outrageous steep ridiculous unfair absurd excessive

# Nouns and adverbs of time and place
N.food.italian.n = pizza+ pasta+ salad+ lasagna+ meatball+ calzone+ risotto+ breadstick+ cannoli/cannolis
  tiramisu/tiramisus
N.food.mexican.n = taco+ burrito+ salsa+ enchilada+ quesadilla+ fajita+ tamale+ tortilla+ churro+ guacamole+
N.food.asian.n = noodle+ dumpling+ roll+ curry/curries soup+ eggroll+ wonton+ bun+ skewer+ broth+
N.food.grill.n = burger+ steak+ rib+ sausage+ brisket+ potato/potatoes hotdog+ kebab+ chop+ patty/patties
N.food.cafe.n = pancake+ muffin+ waffle+ bagel+ omelet+ croissant+ scone+ pastry/pastries cupcake+ crepe+
N.food.bar.n = wing+ pretzel+ slider+ nacho+ snack+ chip+ popper+ olive+ peanut+ platter+
N.drink.italian.n = wine+ espresso+ soda+ limoncello+ spritz/spritzes
N.drink.mexican.n = margarita+ tequila+ soda+ horchata+ mezcal+
N.drink.asian.n = tea+ sake+ beer+ smoothie+ lemonade+
N.drink.grill.n = beer+ milkshake+ soda+ lemonade+ cider+
N.drink.cafe.n = coffee+ latte+ tea+ smoothie+ cappuccino+ mocha+ juice+
N.drink.bar.n = cocktail+ beer+ drink+ martini+ whiskey+ shot+ mojito+
N.staff.t.n = waiter+ server+ manager+ waitress/waitresses owner+ host+ cashier+ chef+ employee+ busboy+ cook+
N.staff.bar.n = bartender+ bouncer+
N.staff.cafe.n = barista+ baker+
N.price.t.n = price+ bill+ tip+ fee+ total+ charge+
N.place.t.n = table+ room+ booth+ patio+ bathroom+ seat+ chair+ floor+ entrance+ wall+ restroom+ window+ lounge+
  terrace+
VENUE.t = pizzeria/cantina/buffet/grill/cafe/bar restaurant trattoria/taqueria/teahouse/diner/bakery/pub place
  bistro/truck/canteen/steakhouse/shop/tavern
EVERYONE = anyone friends people everyone family strangers
TIME.neg = forever hours ages an_hour too_long all_night
TIME.pos = seconds minutes no_time only_minutes
DAY = week night time month weekend friday sunday saturday summer monday year winter
SPOT = bar counter door window kitchen patio entrance front back stairs garden corner fireplace
"""

Body = tuple[str, ...]


def read_grammar(text: str) -> dict[str, list[tuple[float, Body]]]:
    """Symbol with its features written out -> [(probability, body)], for what ROOT can reach; bodies before heads."""
    weighted, rules = defaultdict(list), {}
    for head, kind, body in _statements(text):
        for form, (_, env) in enumerate(_draws([head], {})):
            for weight, phrase in _phrases(body) if kind == ":" else _entries(body, form):
                weighted[_bind(head, env)] += [(weight * p, tuple(_bind(symbol, env | drawn) for symbol in phrase))
                                               for p, drawn in _draws(phrase, env)]

    def visit(symbol: str) -> None:
        if _is_word(symbol) or symbol in rules:
            return
        for _, body in weighted[symbol]:
            for child in body:
                visit(child)
        total = sum(weight for weight, _ in weighted[symbol])
        rules[symbol] = [(weight / total, body) for weight, body in weighted[symbol]]

    visit("ROOT")
    return rules


def _statements(text: str) -> Iterator[list[str]]:
    """[head, ":" or "=", body] of every rule of the text."""
    lines = re.sub(r"(?m)^#.*$", "", text).replace("\n  ", " ").splitlines()
    return (line.split(maxsplit=2) for line in lines if line)


def _is_word(symbol: str) -> bool:
    return not symbol[0].isupper()


def _bind(symbol: str, env: dict[str, str]) -> str:
    """`N.a.~s` under {a: food, s: pos} -> `N.food.neg`."""
    if _is_word(symbol):
        return symbol
    name, *features = symbol.split(".")
    return ".".join([name, *(OPPOSITE[env[f[1:]]] if f[0] == "~" else env.get(f, f) for f in features)])


def _draws(symbols: list[str], env: dict[str, str]) -> list[tuple[float, dict[str, str]]]:
    """Every value of the variables that `env` leaves open in `symbols`, with its probability; the last runs fastest."""
    features = [f.lstrip("~") for symbol in symbols if not _is_word(symbol) for f in symbol.split(".")[1:]]
    names = dict.fromkeys(f for f in features if f in FEATURES and f not in env)
    drawn = (dict(zip(names, values, strict=True)) for values in product(*(FEATURES[name] for name in names)))
    return [(prod(FEATURES[name][value] for name, value in draw.items()), draw) for draw in drawn]


def _phrases(body: str) -> Iterator[tuple[float, list[str]]]:
    """(weight, symbols) of the alternatives of a `:` rule, `?` written out."""
    for weight, *items in map(str.split, body.split("|")):
        parts = [(symbol, float(share or 100) / 100) for symbol, _, share in (item.partition("?") for item in items)]
        for kept in product(*([True, False] if share < 1 else [True] for _, share in parts)):
            choices = list(zip(parts, kept, strict=True))
            yield (float(weight) * prod(share if keep else 1 - share for (_, share), keep in choices),
                   [symbol for (symbol, _), keep in choices if keep])


def _entries(body: str, form: int) -> Iterator[tuple[float, list[str]]]:
    """(weight, words) of the entries of a `=` rule in their form number `form`."""
    body = re.sub(r"(\w+?)(e?)\*", r"\1ed/\1ed/\1\2s/\1\2", body)    # verb: past and present, singular and plural
    body = re.sub(r"(\w+)\+", r"\1/\1s", body)                             # noun: singular and plural
    body = re.sub(r"(sh|ss)s\b", r"\1es", body)
    for rank, entry in enumerate(body.split(), start=1):
        forms = entry.split("/")
        yield 1 / rank, forms[form % len(forms)].split("_")
