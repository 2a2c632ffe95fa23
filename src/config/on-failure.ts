/** Whom a node tells of bad ends, by its settings. */
import { faultOfUrl } from '../domain/task/callback-url.ts'
import type { OnFailure } from '../domain/task/error-callback.ts'
import { MAX_ERROR_PAYLOAD_BYTES, holdsPlaceholder } from '../domain/task/template.ts'
import type { Values } from './settings.ts'

type Names = 'on-failure' | 'on-failure-payload'
type Read = { readonly ok: true; readonly value: OnFailure | undefined } | { readonly ok: false; readonly fault: Names }

/** @returns the setting that is wrong, where one is */
export function readOnFailure({ 'on-failure': url, 'on-failure-payload': payload }: Pick<Values, Names>): Read {
  if (url !== undefined && (faultOfUrl(url) !== undefined || holdsPlaceholder(url))) return { ok: false, fault: 'on-failure' }
  if (payload !== undefined && (url === undefined || !isBody(payload))) return { ok: false, fault: 'on-failure-payload' }
  if (url === undefined) return { ok: true, value: undefined }
  return { ok: true, value: { error_callback: url, ...(payload !== undefined && { error_payload: payload, error_payload_is_json: true }) } }
}

function isBody(text: string): boolean {
  if (text.includes('{id}') || Buffer.byteLength(text) > MAX_ERROR_PAYLOAD_BYTES) return false
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null
  } catch {
    return false
  }
}
