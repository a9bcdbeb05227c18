"""What cloaks are worth against people who collect photos: `uncnn-daemon evaluate`.

`evaluation.evaluate` is the way in for programs, `command.evaluate_people` for the command line.
"""
