import { describe, expect, it } from "vitest";
import { memoryBoard } from "../../../src/scores/memory-board.ts";
import { testBoard } from "../../../src/testing/board.ts";

describe("memoryBoard", () => testBoard(() => ({ board: memoryBoard() }), { describe, it, expect }));
