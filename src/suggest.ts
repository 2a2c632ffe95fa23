/** Finds the name that somebody meant: one of which theirs is another word, or one that differs by a slip of the keys. */
import leven from 'leven'

/** Other words for the names of callme, in small letters without separators. Each counts only where its name is known. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  // members and parameters
  task_name: ['name', 'id', 'key', 'task', 'taskid', 'job', 'jobname', 'jobid'],
  trigger_at: [
    'trigger',
    'triggertime',
    'at',
    'time',
    'when',
    'date',
    'datetime',
    'in',
    'after',
    'delay',
    'runat',
    'executeat',
    'scheduledat',
    'scheduledfor',
    'eta',
  ],
  callback: ['url', 'uri', 'href', 'link', 'endpoint', 'target', 'webhook', 'callbackurl', 'callbackuri', 'webhookurl', 'targeturl'],
  callback_method: ['method', 'verb', 'httpmethod', 'requestmethod'],
  payload: ['body', 'data', 'json', 'content', 'message', 'params', 'args'],
  headers: ['httpheaders', 'requestheaders', 'callbackheaders'],
  expected_http_status: ['expectedstatus', 'expectedstatuscode', 'expectstatus', 'statuscode', 'status', 'httpstatus', 'successcodes'],
  retry: ['retries', 'maxretries', 'retrycount', 'attempts', 'maxattempts', 'tries'],
  max_delay: ['window', 'deadline', 'ttl', 'expires', 'expiresin', 'grace', 'misfiregrace', 'maxage'],
  timeout: ['timelimit', 'timeoutseconds', 'timeoutms', 'requesttimeout', 'calltimeout'],
  error_callback: ['onerror', 'onfailure', 'onfail', 'errorurl', 'erroruri', 'failurecallback', 'failureurl', 'deadletter'],
  delivery: ['guarantee', 'semantics', 'deliverymode'],
  ack_timeout: ['acktime', 'lease', 'ackwithin', 'visibilitytimeout'],
  repeat: ['cron', 'crontab', 'schedule', 'recurrence', 'recurring', 'rrule', 'every', 'interval', 'cronexpression'],
  timezone: ['tz', 'zone', 'timezoneid', 'location'],
  spread: ['jitter', 'splay', 'randomdelay'],
  concurrency: ['maxconcurrency', 'parallelism', 'parallel', 'maxparallel', 'maxrunning'],
  rate: ['ratelimit', 'throttle', 'rps', 'perminute', 'persecond'],
  paused: ['pause', 'disabled', 'suspended', 'suspend'],
  pull: ['worker', 'workers', 'pulled'],
  state: ['status', 'taskstate', 'states'],
  from: ['since', 'start', 'begin', 'after', 'newerthan'],
  to: ['until', 'till', 'end', 'before', 'olderthan'],
  limit: ['size', 'pagesize', 'perpage', 'count', 'max', 'first'],
  start_from: ['cursor', 'page', 'pagetoken', 'offset', 'next'],
  name: ['taskname', 'task', 'handler', 'pattern', 'filter', 'q'],
  dry_run: ['simulate', 'preview', 'noop'],
  pretty: ['indent', 'format'],
  detail: ['result', 'results', 'reason', 'output', 'message'],
  attempt: ['attempts', 'attemptnumber', 'try'],
  count: ['limit', 'number', 'times'],
  force: ['forced', 'override'],
  // settings
  listen: ['port', 'host', 'bind', 'address', 'addr', 'hostname', 'url'],
  store: ['db', 'database', 'databaseurl', 'dsn', 'sqlite', 'postgres', 'postgresql', 'file', 'path', 'data', 'storeurl'],
  'max-inflight': ['concurrency', 'workers', 'threads', 'maxconcurrency'],
  'max-inflight-per-host': ['perhost', 'maxperhost'],
  retention: ['keep', 'retentiondays', 'keepdays', 'history'],
  'log-level': ['verbose', 'debug', 'log', 'loglevels', 'level', 'quiet', 'v'],
  'shutdown-timeout': ['grace', 'graceperiod', 'stoptimeout', 'draintimeout'],
  'node-name': ['name', 'node', 'nodeid', 'instance'],
  'no-auth': ['auth', 'insecure', 'noauthentication', 'public'],
  // commands
  serve: ['start', 'run', 'server', 'up', 'listen', 'daemon', 'launch'],
  config: ['settings', 'env', 'configuration', 'options', 'showconfig'],
  verify: ['check', 'audit', 'ledger', 'report', 'doctor', 'validate', 'status'],
  '--version': ['version', 'v'],
}

/** @returns one of the known names, or undefined where none is near */
export function meantBy(sent: string, known: readonly string[]): string | undefined {
  const word = plain(sent)
  return (
    known.find((name) => plain(name) === word) ??
    known.find((name) => SYNONYMS[name]?.includes(word)) ??
    known.filter((name) => isNear(word, plain(name))).sort((one, other) => leven(word, plain(one)) - leven(word, plain(other)))[0]
  )
}

/** One wrong letter in four, or two letters that have changed places. */
function isNear(sent: string, known: string): boolean {
  const [length, most] = [Math.min(sent.length, known.length), Math.max(sent.length, known.length)]
  const allowed = most < 3 ? 0 : Math.max(1, Math.floor(length / 4))
  if (most - length > allowed) return false
  return leven(sent, known) <= allowed || (length > 3 && lettersOf(sent) === lettersOf(known))
}

function lettersOf(text: string): string {
  return [...text].sort().join('')
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
}
