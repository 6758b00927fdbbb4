import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root, with a slash at its end. */
export const root: string = fileURLToPath(new URL("../..", import.meta.url));

/** A source file: its path from the root, its text, and the text without comments. */
export interface Source {
  path: string;
  text: string;
  code: string;
}

/** Every .ts file below `folders`. */
export function sources(...folders: string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
      .map((name) => {
        const text = readFileSync(`${root}${folder}/${name}`, "utf8");
        return { path: `${folder}/${name}`, text, code: withoutComments(text) };
      }),
  );
}

/** One import of a file: the specifier, where it leads if relative, and whether only types are taken. */
export interface Import {
  specifier: string;
  target: string | undefined;
  typeOnly: boolean;
}

/** Imports and re-exports, static and dynamic. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const statement = /\b(import|export)\s+(type\s+)?((?:[\w*{][^"';]*?\s+from\s+)?)["']([^"']+)["']/g;
  for (const [, , type, names = "", specifier = ""] of source.code.matchAll(statement)) {
    const members = /^\{([^}]*)\}\s+from\s+$/.exec(names)?.[1];
    const allTypes = members?.split(",").every((member) => member.trim() === "" || member.trim().startsWith("type ")) ?? false;
    found.push({ specifier, target: resolve(source.path, specifier), typeOnly: type !== undefined || (allTypes && members !== "") });
  }
  for (const [, specifier = ""] of source.code.matchAll(/\bimport\s*\(\s*["']([^"']+)["']\s*\)/g)) {
    found.push({ specifier, target: resolve(source.path, specifier), typeOnly: false });
  }
  return found;
}

function resolve(from: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : undefined;
}

/** The code alone: comments blanked, strings and templates kept. */
export function withoutComments(text: string): string {
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`)|\/\*[\s\S]*?\*\/|(^|[^:\\])\/\/[^\n]*/g,
    (match: string, literal: string | undefined, before: string | undefined) => literal ?? `${before ?? ""}${match.replace(/[^\n]/g, "")}`,
  );
}
