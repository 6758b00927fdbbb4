export { type Fallback, fallBack } from "./fallback.ts";
export { rateHeaders } from "./headers.ts";
export { createLimiter, type LimiterOptions } from "./limiter.ts";
export { limitResult, planLimits } from "./plan.ts";
export { createRefusals, type KnownRefusal, type Refusals } from "./refusals.ts";
export { canonicalEmail, canonicalPhone, canonicalSubjects } from "./subjects.ts";
export type { BlockOptions, Limiter, LimitLayer, LimitResult, LimitRule, Subject, SubjectName, Subjects } from "./types.ts";
export { isByAddress, quotasOf, validateRules } from "./validate.ts";
