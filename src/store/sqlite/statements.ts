/** Every SQL text of the SQLite store but the pages (selection.ts), prepared once. */
import type { Database } from 'better-sqlite3'

export type Statements = ReturnType<typeof prepareStatements>

export function prepareStatements(db: Database) {
  return { ...entryStatements(db), ...laneStatements(db), ...claimStatements(db) }
}

function entryStatements(db: Database) {
  return {
    findByKey: db.prepare('SELECT * FROM tasks WHERE name = ? AND trigger_at = ?'),
    findState: db.prepare('SELECT id, state, created FROM tasks WHERE name = ? AND trigger_at = ?'),
    // Within a run the numbers count: the clock may have been set back between two attempts.
    history: db.prepare(`
      SELECT run_id, number, started_at, duration_ms, status, error, node FROM attempts
      WHERE task_id = (SELECT id FROM tasks WHERE name = ? AND trigger_at = ?)
      ORDER BY min(started_at) OVER (PARTITION BY run_id), run_id, number`),
    counts: db.prepare('SELECT state, n FROM task_counts'),
    addToCount: db.prepare('UPDATE task_counts SET n = n + ? WHERE state = ?'),

    lastIdBetween: db.prepare('SELECT id FROM tasks WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1').pluck(),
    insert: db.prepare(`
      INSERT INTO tasks (id, name, trigger_at, state, lane, due_at, deadline, run_id, attempts, lost, in_advance, created, updated,
        rescheduled_from, definition)
      VALUES (@id, @name, @triggerAt, 'pending', @lane, @dueAt, @deadline, @runId, 0, 0, 0, @now, @now, @rescheduledFrom, @definition)
      ON CONFLICT (name, trigger_at) DO NOTHING`),
    /** Makes a row that exists a fresh `pending` one, whatever it was. */
    reset: db.prepare(`
      UPDATE tasks SET trigger_at = @triggerAt, state = 'pending', lane = @lane, due_at = @dueAt, deadline = @deadline, lease_until = NULL,
        claimed_by = NULL, run_id = @runId, attempts = 0, lost = 0, in_advance = 0, executed_at = NULL, response_status = NULL,
        response_body = NULL, error = NULL, updated = @now, rescheduled_to = NULL, rescheduled_from = @rescheduledFrom, definition = @definition
      WHERE id = @id`),
    markRescheduled: db.prepare('UPDATE tasks SET rescheduled_to = ?, updated = ? WHERE id = ?'),
    bringForward: db.prepare(
      'UPDATE tasks SET due_at = @now, deadline = @deadline, in_advance = @inAdvance, updated = @now WHERE id = @id',
    ),
    runAgain: db.prepare(`
      UPDATE tasks SET state = 'pending', due_at = @now, deadline = @deadline, run_id = @runId, attempts = 0, lost = 0,
        in_advance = @inAdvance, executed_at = NULL, response_status = NULL, response_body = NULL, error = NULL, updated = @now,
        rescheduled_to = NULL WHERE id = @id`),
    remove: db.prepare('DELETE FROM tasks WHERE id = ?'),
    removeAttempts: db.prepare('DELETE FROM attempts WHERE task_id = ?'),
    finishedBefore: db.prepare(`
      SELECT id, state FROM tasks INDEXED BY tasks_finished
      WHERE state IN ('successful', 'failed', 'skipped') AND updated < ? ORDER BY updated LIMIT ?`),
  }
}

function laneStatements(db: Database) {
  return {
    lowerNextDue: db.prepare(`
      INSERT INTO lanes (lane, next_due) VALUES (?, ?)
      ON CONFLICT (lane) DO UPDATE SET next_due = excluded.next_due WHERE excluded.next_due < next_due`),
    nextDueOfLane: db.prepare('SELECT next_due FROM lanes WHERE lane = ?').pluck(),
    dueLanes: db.prepare('SELECT lane FROM lanes WHERE next_due <= ? ORDER BY next_due').pluck(),
    nextDue: db.prepare('SELECT min(next_due) FROM lanes WHERE next_due > ?').pluck(),
    firstDueOfLane: db
      .prepare(`SELECT min(due_at) FROM tasks INDEXED BY tasks_waiting WHERE state IN ('pending', 'retrying') AND lane = ?`)
      .pluck(),
    firstDueOfLaneAfter: db
      .prepare(`SELECT min(due_at) FROM tasks INDEXED BY tasks_waiting WHERE state IN ('pending', 'retrying') AND lane = ? AND due_at > ?`)
      .pluck(),
    raiseNextDue: db.prepare('UPDATE lanes SET next_due = ? WHERE lane = ?'),
    forgetLane: db.prepare('DELETE FROM lanes WHERE lane = ?'),
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
    record: db
      .prepare(
        `
      UPDATE tasks SET state = @state, due_at = @dueAt, attempts = @attempts, lost = @lost, error = @error, lease_until = NULL,
        executed_at = coalesce(@executedAt, executed_at), response_status = @responseStatus, response_body = @responseBody, updated = @now
      WHERE name = @name AND trigger_at = @triggerAt AND run_id = @runId AND attempts = @claimedAttempts AND state = 'running'
      RETURNING id`,
      )
      .pluck(),
    insertAttempt: db.prepare(`
      INSERT INTO attempts (task_id, run_id, number, started_at, duration_ms, status, error, node)
      VALUES (@taskId, @runId, @number, @startedAt, @durationMs, @status, @error, @node)`),
    expired: db.prepare(`
      SELECT * FROM tasks INDEXED BY tasks_deadline WHERE state IN ('pending', 'retrying') AND deadline <= ? ORDER BY deadline LIMIT ?`),
    end: db.prepare('UPDATE tasks SET state = @state, error = @error, updated = @now WHERE name = @name AND trigger_at = @triggerAt'),
    renew: db.prepare(`
      UPDATE tasks SET lease_until = @leaseUntil
      WHERE name = @name AND trigger_at = @triggerAt AND run_id = @runId AND attempts = @attempts AND state = 'running'`),
    abandoned: db.prepare(`SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND claimed_by <> ? LIMIT ?`),
    leaseOver: db.prepare(`
      SELECT * FROM tasks INDEXED BY tasks_running WHERE state = 'running' AND lease_until <= ? ORDER BY lease_until LIMIT ?`),
  }
}
