const SHOWN = 100;

/**
 * The answers of one subscription as the response pane shows them.
 *
 * GraphiQL itself shows the latest answer only, which hides a run's history. Answers are drawn once per frame
 * of the screen, so that a replay of thousands does not block the page.
 */
export class EventList {
  private received = 0;
  private readonly newestFirst: unknown[] = [];
  private frame: number | undefined;
  private ended: string | undefined;

  constructor(private readonly show: (value: object) => void) {
    this.draw();
  }

  add(answer: unknown): void {
    this.received += 1;
    this.newestFirst.unshift(answer);
    this.newestFirst.splice(SHOWN);
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  /** Draws at once and for the last time: afterwards the pane may belong to another tab. */
  end(how: string, errors?: unknown): void {
    if (this.ended !== undefined) {
      return;
    }
    this.ended = how;
    if (this.frame !== undefined) {
      cancelAnimationFrame(this.frame);
    }
    this.draw(errors);
  }

  private draw(errors?: unknown): void {
    this.frame = undefined;
    this.show({ ended: this.ended, errors, received: this.received, newestFirst: [...this.newestFirst] });
  }
}
