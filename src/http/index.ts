export { readBody, readJson } from "./body.ts";
export { type ClientAddress, clientAddress, watchSingleAddress } from "./client-address.ts";
export { type Cors, type CorsOptions, createCors, type OriginCheck } from "./cors.ts";
export { type CspDirectives, contentSecurityPolicy } from "./csp.ts";
export { edgeFacts } from "./edge.ts";
export { type RequireCloudflareOptions, requireCloudflare } from "./origin.ts";
export { detectPlatform } from "./platform.ts";
export { jsonResponse, Refusal, type RefusalExtra, refusalResponse, withHeaders } from "./refusal.ts";
export type { ClientIpOption, OriginGuard, PeerInfo, Platform, RequestInfo } from "./types.ts";
