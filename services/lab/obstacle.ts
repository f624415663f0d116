/** What stands in the user's way, said in full by its message: shown without a stack trace, exit status 1. */
export class Obstacle extends Error {
  override readonly name = 'Obstacle';
}
