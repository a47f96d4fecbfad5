"""Many runs: a grid from a file, what of it is missing, and engines that train it whatever dies meanwhile."""
