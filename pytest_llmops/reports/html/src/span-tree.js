/**
 * The spans in the order of a tree, each with its depth. A span whose parent is not there is a root. Where spans are
 * one another's parents, the first of them is taken as a root, so that none is lost and none is seen twice.
 * @returns {{span: object, depth: number}[]}
 */
export function spanTree(spans) {
  const children = new Map(spans.map(({ span_id }) => [span_id, []]));
  const roots = [];
  for (const span of spans) (children.get(span.parent_id) ?? roots).push(span);

  const found = new Map();
  for (const root of [...roots, ...spans]) {
    const waiting = [{ span: root, depth: 0 }];
    while (waiting.length) {
      const { span, depth } = waiting.pop();
      if (found.has(span)) continue;
      found.set(span, depth);
      const below = children.get(span.span_id).map((child) => ({ span: child, depth: depth + 1 }));
      waiting.push(...below.reverse());
    }
  }
  return Array.from(found, ([span, depth]) => ({ span, depth }));
}
