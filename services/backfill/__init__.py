"""
Bring the past into Tidemark: files of old events, through the real ingest.

Promises: every row of a file is offered to ingest under an id that is made of the file and the row alone; a run
that was interrupted goes on where it stopped and neither loses nor doubles a row; a run of a finished file adds
nothing, however old it is. Into an empty log the events come *driven*: the driver moves log time through the
past, day by day, and hands over to the live clock once at the end. Into a log that has events they come as late
ones.

On failure it stops with a sentence that says what to do; running it again is always safe.
"""
