// What strangers send who have solved nothing: one request of each form in turn, each from another of 1,000 networks.
import { FORMS, strangers } from "../../helpers/strangers.ts";

/** Requests of each form. */
export const EACH = 200;

/** Sends them, 20 in flight; `forms`: those alone. Tells how many it sent. */
export async function flood(store, forms = FORMS, each = EACH) {
  const { junk } = strangers(store);
  const count = each * forms.length;
  let next = 0;
  const sender = async () => {
    for (let i = next++; i < count; i = next++) await junk(forms[i % forms.length], i);
  };
  await Promise.all(Array.from({ length: 20 }, sender));
  return count;
}

/** Keys and bytes for 1,000 requests. */
export function perThousand({ keys, bytes }, requests) {
  const of = (value) => Math.round((value * 1000) / requests);
  return { keys: of(keys), kilobytes: of(bytes / 100) / 10 };
}

export { FORMS };
