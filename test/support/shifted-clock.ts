/** Imported before a program: shows it a time that is wrong by as many ms as `?ms=` of this module's URL says, in every thread. */
const byMs = Number(new URL(import.meta.url).searchParams.get('ms'))
const RealDate = Date
const realNow = Date.now.bind(Date)

RealDate.now = () => realNow() + byMs
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [RealDate.now()] : args, newTarget) as Date,
})
