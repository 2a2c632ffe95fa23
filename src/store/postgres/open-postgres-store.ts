/** Stands in for the PostgreSQL store until that is there. */
import { CallmeError } from '../../domain/errors.ts'
import type { Store } from '../store.ts'

/** @throws CallmeError `store_unavailable` */
export function openPostgresStore(url: string): Promise<Store> {
  return Promise.reject(new CallmeError('store_unavailable', `no PostgreSQL store yet for ${URL.parse(url)?.host ?? ''}`))
}
