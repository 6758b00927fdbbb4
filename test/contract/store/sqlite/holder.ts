// Takes the write lock of a SQLite file, says "held", and keeps it until it is killed.
import { DatabaseSync } from "node:sqlite";

const database = new DatabaseSync(process.argv[2] ?? "");
database.exec("BEGIN EXCLUSIVE");
process.stdout.write("held\n");
setInterval(() => undefined, 1000);
