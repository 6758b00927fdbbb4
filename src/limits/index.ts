export { createLimiter, type Limiter, type LimiterOptions } from "./limiter.ts";
export { degradedResult, type LimitPlan, limitResult, planLimits } from "./plan.ts";
export type { LimitResult, LimitRule, Subject, SubjectName, Subjects } from "./types.ts";
export { validateRules } from "./validate.ts";
