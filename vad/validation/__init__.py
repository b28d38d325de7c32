"""The check without labels: do scores tell altered normal footage from normal footage as it is?

`alterations` alters `footage` by an `overlay`; `passages` chooses where. `measuring` runs the altered frames
through the processors of live use, `figures` compares their scores with those of normal footage, `report`
writes the figures, `sheet` draws examples. No label is read. Imports all packages up to `evaluation`.
"""
