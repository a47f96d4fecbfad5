"""Preference sheets: which of several sentences is best, asked blindly of people, of a language model, of a stand-in.

    sheet = Sheet.of({"vae": texts, "ceae": texts}, items=200, seed=1)      # blinded, balanced over positions
    folder.write(sheet, Path("sheet"))                                      # sheet.csv, form.html, key.json
    answers.read([Path("answers.csv")], sheet)
    summary.of(answers)                                                     # shares, intervals, tests, agreement
"""
