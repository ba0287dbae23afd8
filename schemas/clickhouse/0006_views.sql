-- What business intelligence tools read: documented in docs/sql.md, exported by `tidemark export`. Units are those of people:
-- dates, points, shares. Snapshots are taken in the order of the table's key, from its end, so that they are not sorted: they are
-- large. A column is never renamed or given another meaning; new ones come at the end.

-- The snapshot of each account at the close of each day, with the measures by which people judge. Those that follow in the course of
-- the next day name the same day, since it is the last closed one, but tell of the next one's tickets and facts.
CREATE OR REPLACE VIEW health_by_day AS
SELECT
    account,
    toDate32('1970-01-01') + day AS date,
    toString(band) AS band,
    toString(stage) AS stage,
    score_tenths / 10 AS score,
    coverage,
    JSONExtract(body, 'measures', 'active_users_7', 'Nullable(Float64)') AS active_users_7,
    JSONExtract(body, 'measures', 'active_users_28', 'Nullable(Float64)') AS active_users_28,
    JSONExtract(body, 'measures', 'events_7', 'Nullable(Float64)') AS events_7,
    JSONExtract(body, 'measures', 'level_1w', 'Nullable(Float64)') AS level_1_week,
    JSONExtract(body, 'measures', 'level_4w', 'Nullable(Float64)') AS level_4_weeks,
    JSONExtract(body, 'measures', 'silent_days', 'Nullable(Float64)') AS silent_days,
    JSONExtract(body, 'measures', 'value_days_28', 'Nullable(Float64)') AS value_days_28,
    name,
    owner,
    revenue,
    seats,
    historical
FROM (
    SELECT * FROM account_health
    WHERE reason = 'DAY_CLOSE'
    ORDER BY account DESC, topic DESC, partition DESC, offset DESC
    LIMIT 1 BY account, day
);

-- Each account as it is now; one that the scorer has forgotten is not there.
CREATE OR REPLACE VIEW accounts_today AS
SELECT
    latest.account AS account,
    name,
    owner,
    JSONExtract(body, 'facts', 'plan', 'Nullable(String)') AS plan,
    revenue,
    seats,
    toString(band) AS band,
    toString(stage) AS stage,
    score_tenths / 10 AS score,
    (score_tenths - previous_score_tenths) / 10 AS score_change,
    coverage,
    JSONExtract(body, 'measures', 'active_users_7', 'Nullable(Float64)') AS active_users_7,
    JSONExtract(body, 'measures', 'active_users_28', 'Nullable(Float64)') AS active_users_28,
    JSONExtract(body, 'measures', 'seat_use', 'Nullable(Float64)') AS seat_use,
    JSONExtract(body, 'measures', 'level_4w', 'Nullable(Float64)') AS level_4_weeks,
    if(silent_days < 0, NULL, silent_days) AS silent_days,
    if(last_active_day < 0, NULL, toDate32('1970-01-01') + last_active_day) AS last_active_on,
    toDate32('1970-01-01') + JSONExtract(body, 'facts', 'contract_start_day', 'Nullable(Int32)') AS contract_start,
    toDate32('1970-01-01') + renewal_day AS renewal_on,
    JSONExtract(body, 'measures', 'tickets_open', 'Nullable(Float64)') AS tickets_open,
    JSONExtract(body, 'measures', 'survey_mean', 'Nullable(Float64)') AS survey_mean,
    ifNull(open.risks, 0) AS open_risks,
    ifNull(open.expansions, 0) AS open_expansions,
    toDate32('1970-01-01') + day AS date,
    at
FROM (
    SELECT * FROM account_health
    ORDER BY account DESC, topic DESC, partition DESC, offset DESC
    LIMIT 1 BY account
) AS latest
LEFT JOIN (
    SELECT
        account,
        countIf(category = 'RISK' AND severity IN ('WARNING', 'CRITICAL')) AS risks,
        countIf(category = 'EXPANSION') AS expansions
    FROM episodes WHERE transition != 'RESOLVED' GROUP BY account
) AS open ON open.account = latest.account
WHERE reason != 'FORGOTTEN';

-- How far the accounts that started in each month have come.
CREATE OR REPLACE VIEW onboarding_funnel AS
WITH
    JSONExtract(body, 'dates', 'first_activity', 'Nullable(Int32)') AS first_activity,
    JSONExtract(body, 'dates', 'first_value', 'Nullable(Int32)') AS first_value,
    coalesce(JSONExtract(body, 'facts', 'contract_start_day', 'Nullable(Int32)'), first_activity) AS start,
    first_value - start AS days_to_value,
    toDate32('1970-01-01') + assumeNotNull(start) AS started_on
SELECT
    started_on - (toDayOfMonth(started_on) - 1) AS cohort,
    count() AS started,
    countIf(first_activity IS NOT NULL) AS active,
    countIf(first_value IS NOT NULL) AS reached_value,
    countIf(days_to_value <= 7) AS reached_value_in_7_days,
    countIf(days_to_value <= 30) AS reached_value_in_30_days,
    countIf(days_to_value <= 90) AS reached_value_in_90_days,
    quantileExactInclusiveOrNull(0.5)(days_to_value) AS median_days_to_value,
    countIf(stage IN ('ONGOING', 'RENEWAL')) AS onboarded,
    countIf(stage IN ('ONGOING', 'RENEWAL') AND silent_days BETWEEN 0 AND 27) AS onboarded_and_active
FROM (
    SELECT * FROM account_health
    ORDER BY account DESC, topic DESC, partition DESC, offset DESC
    LIMIT 1 BY account
)
WHERE reason != 'FORGOTTEN' AND start IS NOT NULL
GROUP BY cohort;

-- Of the accounts that were first used in each month, how many ever used a feature (a tracked event that is use), be it by an agent.
CREATE OR REPLACE VIEW feature_adoption AS
SELECT
    cohort,
    name AS feature,
    any(cohorts.accounts) AS accounts,
    count() AS adopted_accounts,
    adopted_accounts / accounts AS adopted_share,
    sum(people) AS adopted_people,
    quantileExactInclusive(0.5)(dateDiff('day', first_day, first_use)) AS median_days_to_first_use
FROM (
    SELECT
        account,
        name,
        min(toDate32(occurred_at)) AS first_use,
        uniqExactIf(user, user != '' AND actor NOT IN ('AGENT', 'INTEGRATION')) AS people
    FROM events_unique
    WHERE topic = 'usage-events' AND environment = 'production' AND NOT internal AND use AND kind = 'TRACK'
    GROUP BY account, name
) AS uses
INNER JOIN (
    SELECT account, min(day) AS first_day, first_day - (toDayOfMonth(first_day) - 1) AS cohort
    FROM account_days GROUP BY account
) AS starts ON starts.account = uses.account
INNER JOIN (
    SELECT cohort, count() AS accounts FROM (
        SELECT account, min(day) - (toDayOfMonth(min(day)) - 1) AS cohort FROM account_days GROUP BY account
    ) GROUP BY cohort
) AS cohorts ON cohorts.cohort = starts.cohort
GROUP BY cohort, feature;

-- Of the accounts that were first used in each month, how many were active so many months later, up to the latest month.
CREATE OR REPLACE VIEW retention_by_cohort AS
WITH (SELECT least(max(day), toDate32(now('UTC'))) FROM account_days) AS latest
SELECT
    cohort,
    months_after,
    count() AS accounts,
    countIf(has(active_months, addMonths(cohort, months_after))) AS active_accounts,
    active_accounts / accounts AS active_share
FROM (
    SELECT
        account,
        min(day) - (toDayOfMonth(min(day)) - 1) AS cohort,
        groupUniqArray(day - (toDayOfMonth(day) - 1)) AS active_months
    FROM account_days GROUP BY account
)
ARRAY JOIN range(toUInt32(greatest(0, dateDiff('month', cohort, assumeNotNull(latest)))) + 1) AS months_after
GROUP BY cohort, months_after;

-- The last closed week of each account against the mean of its 30 weeks before, in person-days and events: without the
-- corrections for holidays and calendars that `level_1_week` of health has. The part of a week in which an account began is left
-- out: its days are too few, and may be without a weekend. Nor is an account there that the scorer has forgotten, such as one that
-- goes by another id now: what it used under the old one would look like a fall to nothing.
CREATE OR REPLACE VIEW week_against_usual AS
WITH (SELECT max(toDate32('1970-01-01') + day) FROM account_health WHERE reason != 'FORGOTTEN') AS closed
SELECT
    account,
    assumeNotNull(closed) - 6 AS week_from,
    assumeNotNull(closed) AS week_to,
    sumIf(active_users, day > closed - 7) AS person_days,
    sumIf(events, day > closed - 7) AS events_of_week,
    any(weeks) AS weeks_before,
    if(weeks_before < 1, NULL, sumIf(active_users, is_before) / weeks_before) AS usual_person_days,
    if(weeks_before < 1, NULL, sumIf(events, is_before) / weeks_before) AS usual_events,
    person_days / nullIf(usual_person_days, 0) AS level
FROM (
    SELECT
        account,
        day,
        active_users,
        events,
        least(30, intDiv(dateDiff('day', min(day) OVER (PARTITION BY account), assumeNotNull(closed) - 6), 7)) AS weeks,
        day <= closed - 7 AND day > closed - 7 - 7 * weeks AS is_before
    FROM account_days
    WHERE day <= closed AND account NOT IN (SELECT account FROM account_health_current FINAL WHERE reason = 'FORGOTTEN')
)
GROUP BY account;

-- What support had to do with each account, by day: from the snapshots, so by the events that the tracking plan names.
CREATE OR REPLACE VIEW support_load AS
SELECT
    account,
    toDate32('1970-01-01') + day AS date,
    name,
    owner,
    assumeNotNull(tickets) AS tickets_open,
    JSONExtract(body, 'measures', 'oldest_ticket_days', 'Nullable(Float64)') AS oldest_ticket_days,
    JSONExtract(body, 'measures', 'tickets_opened_28', 'Nullable(Float64)') AS tickets_opened_28,
    JSONExtract(body, 'measures', 'tickets_closed_28', 'Nullable(Float64)') AS tickets_closed_28,
    JSONExtract(body, 'measures', 'median_ticket_hours', 'Nullable(Float64)') AS median_ticket_hours
FROM (
    SELECT *, JSONExtract(body, 'measures', 'tickets_open', 'Nullable(Float64)') AS tickets FROM account_health
    WHERE reason = 'DAY_CLOSE'
    ORDER BY account DESC, topic DESC, partition DESC, offset DESC
    LIMIT 1 BY account, day
)
WHERE tickets IS NOT NULL;
