/** Every SQL text of the SQLite store but the pages (selection.ts), prepared once. */
import type { Database } from 'better-sqlite3'
import { ATTEMPT_COLUMNS } from '../rows/task-row.ts'

export type Statements = ReturnType<typeof prepareStatements>

export function prepareStatements(db: Database) {
  return {
    ...entryStatements(db),
    ...laneStatements(db),
    ...claimStatements(db),
    ...outcomeStatements(db),
    ...handlerStatements(db),
    ...changeStatements(db),
  }
}

function entryStatements(db: Database) {
  return {
    findByKey: db.prepare('SELECT * FROM tasks WHERE name = ? AND trigger_at = ?'),
    findState: db.prepare('SELECT id, state, run_id, attempts, created FROM tasks WHERE name = ? AND trigger_at = ?'),
    // Within a run the numbers count: the clock may have been set back between two attempts.
    history: db.prepare(`
      SELECT ${ATTEMPT_COLUMNS} FROM attempts
      WHERE task_id = (SELECT id FROM tasks WHERE name = ? AND trigger_at = ?)
      ORDER BY min(started_at) OVER (PARTITION BY run_id), run_id, number`),
    counts: db.prepare('SELECT state, n FROM task_counts'),
    addToCount: db.prepare('UPDATE task_counts SET n = n + ? WHERE state = ?'),

    lastIdBetween: db.prepare('SELECT id FROM tasks WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1').pluck(),
    insert: db.prepare(`
      INSERT INTO tasks (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated,
        rescheduled_from, repeated_to, definition)
      VALUES (@id, @name, @triggerAt, 'pending', @lane, @dueAt, @deadline, @runId, 0, 0, 0, @now, @now, @rescheduledFrom, @repeatedTo,
        @definition)
      ON CONFLICT (name, trigger_at) DO NOTHING`),
    /** Makes a row that exists a fresh `pending` one, whatever it was. */
    reset: db.prepare(`
      UPDATE tasks SET trigger_at = @triggerAt, state = 'pending', lane = @lane, due_at = @dueAt, deadline = @deadline, lease_until = NULL,
        claimed_by = NULL, run_id = @runId, attempts = 0, lost = 0, in_advance = 0, executed_at = NULL, response_status = NULL,
        response_body = NULL, error = NULL, updated = @now, rescheduled_to = NULL, rescheduled_from = @rescheduledFrom,
        repeated_to = @repeatedTo, window_from = NULL, remove_after = 0, definition = @definition
      WHERE id = @id`),
    markRescheduled: db.prepare('UPDATE tasks SET rescheduled_to = ?, updated = ? WHERE id = ?'),
    markRepeated: db.prepare('UPDATE tasks SET repeated_to = ? WHERE id = ?'),
    bringForward: db.prepare(`
      UPDATE tasks SET due_at = @now, window_from = @now, deadline = @deadline, in_advance = @inAdvance, remove_after = @removeAfter,
        updated = @now WHERE id = @id`),
    runAgain: db.prepare(`
      UPDATE tasks SET state = 'pending', due_at = @now, window_from = @now, deadline = @deadline, run_id = @runId, attempts = 0, lost = 0,
        in_advance = @inAdvance, remove_after = 0, executed_at = NULL, response_status = NULL, response_body = NULL, error = NULL, updated = @now,
        rescheduled_to = NULL WHERE id = @id`),
    remove: db.prepare('DELETE FROM tasks WHERE id = ?'),
    removeAttempts: db.prepare('DELETE FROM attempts WHERE task_id = ?'),
    countPastRuns: db.prepare('SELECT count(DISTINCT run_id) FROM attempts WHERE task_id = ? AND run_id <> ?').pluck(),
    addPastRuns: db.prepare(`
      INSERT INTO past_runs (trigger_at, standing, n) VALUES (@triggerAt, @standing, @runs)
      ON CONFLICT (trigger_at, standing) DO UPDATE SET n = n + excluded.n`),
    forgetPastRuns: db.prepare('DELETE FROM past_runs WHERE trigger_at < ?'),
    endLastAttempt: db.prepare(`UPDATE attempts SET outcome = 'failed' WHERE task_id = ? AND run_id = ? AND number = ?`),
    finishedBefore: db.prepare(`
      SELECT id, name, state FROM tasks INDEXED BY tasks_finished
      WHERE state IN ('successful', 'failed', 'skipped') AND updated < ? ORDER BY updated LIMIT ?`),
  }
}

function laneStatements(db: Database) {
  return {
    lowerNextDue: db.prepare(`
      INSERT INTO lanes (lane, next_due) VALUES (@lane, @dueAt)
      ON CONFLICT (lane) DO UPDATE SET next_due = excluded.next_due WHERE excluded.next_due < next_due AND next_due <> @closed`),
    nextDueOfLane: db.prepare('SELECT next_due FROM lanes WHERE lane = ?').pluck(),
    dueLanes: db.prepare(`
      SELECT lane, next_due FROM lanes WHERE (next_due, lane) > (@nextDue, @lane) AND next_due <= @now ORDER BY next_due, lane`),
    nextDue: db.prepare('SELECT min(next_due) FROM lanes WHERE next_due > ?').pluck(),
    firstDueOfLane: db
      .prepare(`SELECT min(due_at) FROM tasks INDEXED BY tasks_waiting WHERE state IN ('pending', 'retrying') AND lane = ?`)
      .pluck(),
    firstDueOfLaneAfter: db
      .prepare(`SELECT min(due_at) FROM tasks INDEXED BY tasks_waiting WHERE state IN ('pending', 'retrying') AND lane = ? AND due_at > ?`)
      .pluck(),
    raiseNextDue: db.prepare('UPDATE lanes SET next_due = ? WHERE lane = ?'),
    forgetLane: db.prepare('DELETE FROM lanes WHERE lane = ?'),
    lanesBetween: db.prepare('SELECT lane FROM lanes WHERE lane >= @first AND lane < @end').pluck(),
    openClosedLanes: db.prepare('UPDATE lanes SET next_due = 0 WHERE lane >= @first AND lane < @end AND next_due = @closed'),
    openLanes: db.prepare('UPDATE lanes SET next_due = 0 WHERE lane >= @first AND lane < @end'),
    openHandlerLanes: db.prepare(`UPDATE lanes SET next_due = 0 WHERE next_due > ? AND instr(lane, '@') > 0`),
    waitingInLane: db.prepare(`
      SELECT 1 FROM tasks INDEXED BY tasks_waiting
      WHERE state IN ('pending', 'retrying') AND lane = @lane AND name >= @first AND name < @end LIMIT 1`),
    runningInLane: db.prepare(`
      SELECT 1 FROM tasks INDEXED BY tasks_running_of_handler
      WHERE state = 'running' AND instr(lane, '@') > 0 AND name >= @first AND name < @end AND lane = @lane LIMIT 1`),
    runningOfNames: db.prepare(`
      SELECT id, name, lane FROM tasks INDEXED BY tasks_running
      WHERE state = 'running' AND name >= @first AND name < @end AND instr(name, '@') = 0`),
    moveToLane: db.prepare('UPDATE tasks SET lane = ? WHERE id = ?'),
    rowsOfNames: db.prepare(`
      SELECT * FROM tasks WHERE (name, trigger_at) > (@name, @triggerAt) AND name < @end ORDER BY name, trigger_at LIMIT @limit`),
  }
}

function claimStatements(db: Database) {
  return {
    claim: db.prepare(`
      UPDATE tasks SET state = 'running', attempts = attempts + 1, lease_until = @leaseUntil, claimed_by = @node, updated = @now
      WHERE id IN (
        SELECT id FROM tasks INDEXED BY tasks_waiting
        WHERE state IN ('pending', 'retrying') AND lane = @lane AND due_at <= @now AND deadline > @now ORDER BY due_at LIMIT @limit)
      RETURNING *`),
    dueOfLane: db.prepare(`
      SELECT id, name, due_at FROM tasks INDEXED BY tasks_waiting
      WHERE state IN ('pending', 'retrying') AND lane = @lane AND due_at <= @now AND deadline > @now ORDER BY due_at LIMIT @limit`),
    claimForWorker: db.prepare(`
      UPDATE tasks SET state = 'running', attempts = attempts + 1, lease_until = @leaseUntil, claimed_by = @node, awaiting = 'worker',
        updated = @now WHERE id = @id RETURNING *`),
  }
}

function outcomeStatements(db: Database) {
  return {
    record: db.prepare(`
      UPDATE tasks SET state = @state, due_at = @dueAt, attempts = @attempts, lost = @lost, error = @error, lease_until = @leaseUntil,
        awaiting = @awaiting, executed_at = coalesce(@executedAt, executed_at), response_status = @responseStatus,
        response_body = @responseBody, updated = @now
      WHERE name = @name AND trigger_at = @triggerAt AND run_id = @runId AND attempts = @claimedAttempts AND state = 'running'
      RETURNING id, lane, executed_at, remove_after`),
    // An attempt that was accepted, or prolonged, is there already: it began then, and ends now.
    putAttempt: db.prepare(`
      INSERT INTO attempts (task_id, ${ATTEMPT_COLUMNS})
      VALUES (@taskId, @runId, @number, @dueAt, @startedAt, @durationMs, @deadline, @status, @error, @outcome, @attemptsLeft, @node)
      ON CONFLICT (task_id, run_id, number) DO UPDATE SET error = excluded.error, status = coalesce(excluded.status, status),
        deadline = coalesce(deadline, excluded.deadline), outcome = excluded.outcome, attempts_left = excluded.attempts_left,
        duration_ms = max(0, excluded.started_at + excluded.duration_ms - started_at)`),
    attemptsOfRun: db.prepare(`
      SELECT ${ATTEMPT_COLUMNS} FROM attempts
      WHERE task_id = (SELECT id FROM tasks WHERE name = ? AND trigger_at = ?) AND run_id = ? ORDER BY number`),
    prolong: db.prepare(`
      UPDATE tasks SET lease_until = @leaseUntil, awaiting = coalesce(awaiting, 'ack'), updated = @now WHERE id = @id`),
    relocate: db.prepare('UPDATE tasks SET lane = @lane, deadline = @deadline WHERE id = @id'),
    extendWindow: db.prepare('UPDATE tasks SET deadline = ? WHERE id = ?'),
    expired: db.prepare(`
      SELECT * FROM tasks INDEXED BY tasks_deadline WHERE state IN ('pending', 'retrying') AND deadline <= ? ORDER BY deadline LIMIT ?`),
    end: db.prepare('UPDATE tasks SET state = @state, error = @error, updated = @now WHERE name = @name AND trigger_at = @triggerAt'),
    renew: db.prepare(`
      UPDATE tasks SET lease_until = @leaseUntil
      WHERE name = @name AND trigger_at = @triggerAt AND run_id = @runId AND attempts = @attempts AND state = 'running'
        AND awaiting IS NULL`),
    abandoned: db.prepare(`
      SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND claimed_by <> ? AND awaiting IS NULL LIMIT ?`),
    leaseOver: db.prepare(`
      SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND lease_until <= ? ORDER BY lease_until LIMIT ?`),
  }
}

function handlerStatements(db: Database) {
  return {
    anyHandler: db.prepare('SELECT 1 FROM handlers LIMIT 1'),
    findHandler: db.prepare('SELECT * FROM handlers WHERE name = ?'),
    handlersAfter: db.prepare('SELECT * FROM handlers WHERE name > ? ORDER BY name LIMIT ?'),
    upsertHandler: db.prepare(`
      INSERT INTO handlers (name, created, updated, definition) VALUES (@name, @created, @now, @definition)
      ON CONFLICT (name) DO UPDATE SET updated = excluded.updated, definition = excluded.definition`),
    beginBackfill: db.prepare('REPLACE INTO handler_walks (name, after_name, after_trigger_at) VALUES (?, ?, -1)'),
    anyBackfill: db.prepare('SELECT * FROM handler_walks LIMIT 1'),
    advanceBackfill: db.prepare('UPDATE handler_walks SET after_name = ?, after_trigger_at = ? WHERE name = ?'),
    endBackfill: db.prepare('DELETE FROM handler_walks WHERE name = ?'),
    deleteHandler: db.prepare('DELETE FROM handlers WHERE name = ?'),
    runningOfHandler: db
      .prepare(
        `
      SELECT count(*) FROM (
        SELECT 1 FROM tasks INDEXED BY tasks_running_of_handler
        WHERE state = 'running' AND instr(lane, '@') > 0 AND name >= @first AND name < @end AND lane >= @firstLane AND lane < @endLane LIMIT @limit)`,
      )
      .pluck(),
    patterns: db.prepare(`SELECT * FROM handlers WHERE substr(name, -1) = '*'`),
    startsBetween: db.prepare(
      'SELECT coalesce(sum(n), 0) AS started, min(second) AS oldest FROM starts WHERE name = ? AND second BETWEEN ? AND ?',
    ),
    addStarts: db.prepare(`
      INSERT INTO starts (name, second, n) VALUES (@name, @second, @count) ON CONFLICT (name, second) DO UPDATE SET n = n + excluded.n`),
    forgetStarts: db.prepare('DELETE FROM starts WHERE name = ? AND second < ?'),
  }
}

function changeStatements(db: Database) {
  return {
    insertChanges: db.prepare('INSERT INTO changes (id, first_id, batch) VALUES (@id, @firstId, @batch)'),
    trimChanges: db.prepare('DELETE FROM changes WHERE id <= ?'),
    changesAfter: db.prepare('SELECT * FROM changes WHERE id > ? ORDER BY id'),
    oldestChange: db.prepare('SELECT first_id FROM changes ORDER BY id LIMIT 1').pluck(),
    newestChange: db.prepare('SELECT max(id) FROM changes').pluck(),
  }
}
