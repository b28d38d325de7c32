"""The check without labels: does the model tell normal footage from what was made of it by altering it?

`alterations` says what is done to `footage` (an `overlay`), `passages` where, `measuring` runs the altered
frames through the processors of live use, `figures` compares their scores with those of normal footage,
`report` writes them, `sheet` draws examples. No label is read. Imports all packages up to `evaluation`.
"""
