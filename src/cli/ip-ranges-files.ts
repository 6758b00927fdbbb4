import { randomUUID } from "node:crypto";
import { chmod, chown, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { kill, pid } from "node:process";

/** Milliseconds after which a lock is nobody's, whoever has its process id now: longer than any run. */
const ABANDONED = 7_200_000;

/** A file's text; null when there is none. */
export async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return null;
    throw error;
  }
}

/**
 * Writes a whole file or nothing: readers see the old text or the new one, also after a power cut. Mode and owner of the old file are kept, a
 * symbolic link stays one. `null` removes the file.
 */
export async function writeText(file: string, text: string | null): Promise<void> {
  if (text === null) return rm(file, { force: true });
  const target = await realpath(file).catch(() => file);
  const old = await stat(target).catch(() => null);
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, "wx", 0o644);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (old) {
      await chmod(temporary, old.mode & 0o7777);
      // Only root may give files away; for others the new file is theirs, as its folder is.
      await chown(temporary, old.uid, old.gid).catch(() => undefined);
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(target));
}

/**
 * Makes this process the only one that works on a file; call the result to let go. Two runs at once could each put back what the other had removed.
 * A lock whose process is gone is taken over.
 *
 * @throws {Error} another run has it
 */
export async function lock(file: string): Promise<() => Promise<void>> {
  const path = `${file}.lock`;
  const release = async (): Promise<void> => rm(path, { force: true });
  if (await create(path)) return release;
  // One at a time may look whether the lock is a dead one's: else the second of two would take over from the first, who is alive.
  const judge = `${path}.takeover`;
  if (!(await create(judge))) throw new Error(`Another run is taking over ${path}; if none is, remove ${judge}`);
  try {
    const holder = Number.parseInt((await readText(path)) ?? "", 10);
    const made = await stat(path).catch(() => null);
    const abandoned = made && (!isAlive(holder) || Date.now() - made.mtimeMs > ABANDONED);
    // Let go of just now: as at the start. Else nobody can make it meanwhile, since it is there.
    if (abandoned) await writeText(path, `${pid}\n`);
    else if (made || !(await create(path))) throw new Error(`Process ${holder} holds ${path}`);
    return release;
  } finally {
    await rm(judge, { force: true });
  }
}

async function create(path: string): Promise<boolean> {
  try {
    const handle = await open(path, "wx", 0o644);
    await handle.writeFile(`${pid}\n`);
    await handle.close();
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

function isAlive(process: number): boolean {
  // In a container every run may have the same number; we ourselves hold nothing yet.
  if (process === pid) return false;
  try {
    kill(process, 0);
    return true;
  } catch (error) {
    // Somebody else's process, or a lock made a moment ago that has no number yet.
    return codeOf(error) !== "ESRCH";
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Not every platform lets a folder be opened.
  const handle = await open(folder, "r").catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function codeOf(error: unknown): unknown {
  return Object(error).code;
}
