/** The board that the gate keeps and the page shows. */
export const BOARD = "ember-ring";
