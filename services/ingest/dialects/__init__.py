"""
The dialects in which clients speak to ingest: one module for each, all onto one path of admission.

To add one, write a module here with `ROUTES`, a tuple of `HttpRoute`, and name the module in `registry.DIALECTS`. Nothing
else has to change: the registry refuses two routes of the same method and path, CORS, metrics, errors, OpenAPI and
HEAD are made for every route alike.

A route that takes events asks the `EventIntake` three things, and answers in the words of its client:

    async def _batch(call: Call, intake: EventIntake) -> Reply:
        key = intake.key(call)                   # 401 and 403 are raised here, before a byte of the body is read
        body = await intake.body(call, key)      # 413 and 429
        answer = await intake.submit(Submission(translated(body)), key)
        return json_reply(200, {"status": 1})

`Submission.body` is JSON in Segment's format: a dialect of another format translates. Bytes that cannot be translated
are kept with `intake.refuse`. What a route raises is answered as JSON with the code's status; a client that needs
another form, such as an image, catches `Rejected` and `Retryable` itself.

`About` says what the OpenAPI document tells of a route: a test asks every endpoint at random and holds the answers
against it.

A route that only answers, such as a static file, ignores the intake and returns a `Reply`. A path may have variable
segments, `/v1/webhooks/{vendor}`, which arrive in `call.params`.
"""
