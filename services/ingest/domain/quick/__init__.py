"""
The quick way for events of the common shape: the verdict and the records of `admission.admit`, for a fraction of the time.

It only ever accepts. Whatever is not of the common shape, or not quite right, gives None, and `admit` judges the bytes
anew; so every refusal, every warning and every odd case has one home. What it accepts becomes the same records byte for
byte (held by a property test).

Three things make it quick: what all events of a request have in common is encoded once; so is what all events of a
person, and all events of a name, have in common, for as long as they are remembered; and the rest goes into the records
without dictionaries in between. Identifiers are checked when they are met; those remembered were right.
"""
