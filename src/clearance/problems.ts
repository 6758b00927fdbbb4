/** The members of a zod issue that are read here. */
interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
  readonly minimum?: number | bigint;
  readonly maximum?: number | bigint;
  readonly values?: readonly unknown[];
  readonly expected?: string;
  readonly pattern?: string | undefined;
  readonly errors?: readonly (readonly Issue[])[];
}

/** What is wrong with a policy, and where, in plain words: people write the file by hand. */
export function describeIssue(issue: Issue | undefined, above: readonly PropertyKey[] = []): string {
  if (!issue) return "unknown";
  const path = [...above, ...issue.path];
  if (issue.code === "invalid_union") {
    // An entry is a text or an object. A problem with one of its members says more than a problem with its type.
    const all = (issue.errors ?? []).flat();
    return describeIssue(all.find(({ code, path: below }) => code !== "invalid_type" || below.length > 0) ?? all[0], path);
  }
  return `${path.join(".") || "the whole"}: ${reasonOf(issue)}`;
}

function reasonOf(issue: Issue): string {
  switch (issue.code) {
    case "unrecognized_keys":
      return `unknown member ${(issue.keys ?? []).map((key) => `"${key}"`).join(", ")}`;
    case "too_small":
      return `expected at least ${issue.minimum}`;
    case "too_big":
      return `expected at most ${issue.maximum}`;
    case "invalid_value":
      return `expected one of ${(issue.values ?? []).map((value) => `"${String(value)}"`).join(", ")}`;
    case "invalid_type":
      return `expected ${issue.expected}`;
    case "invalid_format":
      return `expected the form ${issue.pattern}`;
    default:
      return issue.message;
  }
}
