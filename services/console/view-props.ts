export interface ViewProps {
  /** What follows the view in the address: an id, or nothing. */
  readonly argument: string | null;
}
