/** What Vue does to a page, without one: nodes, and how many of them it made and removed. */

import { createRenderer, h, reactive, type VNodeArrayChildren } from "vue";

export interface PageNode {
  readonly type: string;
  text: string;
  children: PageNode[];
  parent: PageNode | null;
}

export class Drawing {
  readonly root: PageNode = { type: "root", text: "", children: [], parent: null };
  made = 0;
  removed = 0;
  readonly #state = reactive({ count: 0 });

  constructor(private readonly nodes: () => VNodeArrayChildren) {
    const { createApp } = createRenderer<PageNode, PageNode>({
      createElement: (type) => this.#make(type, ""),
      createText: (text) => this.#make("text", text),
      createComment: (text) => this.#make("comment", text),
      setText: (node, text) => void (node.text = text),
      setElementText: (node, text) => {
        node.children = text ? [{ type: "text", text, children: [], parent: node }] : [];
      },
      patchProp: () => undefined,
      parentNode: ({ parent }) => parent,
      nextSibling: (node) => node.parent?.children[node.parent.children.indexOf(node) + 1] ?? null,
      insert: (node, parent, anchor) => {
        const at = anchor ? parent.children.indexOf(anchor) : parent.children.length;
        parent.children.splice(at, 0, node);
        node.parent = parent;
      },
      remove: (node) => {
        this.removed += 1;
        node.parent?.children.splice(node.parent.children.indexOf(node), 1);
        node.parent = null;
      },
    });
    createApp({ render: () => (void this.#state.count, h("main", this.nodes())) }).mount(this.root);
  }

  #make(type: string, text: string): PageNode {
    this.made += 1;
    return { type, text, children: [], parent: null };
  }

  /** Has it drawn again, which is done by the next tick. */
  draw(): void {
    this.#state.count += 1;
  }
}

/** The nodes of a kind within `node`, in their order. */
export function all(node: PageNode, type: string): PageNode[] {
  return node.children.flatMap((child) => [
    ...(child.type === type ? [child] : []),
    ...all(child, type),
  ]);
}

/** The text of `node`. */
export function textIn(node: PageNode): string {
  return node.text + node.children.map(textIn).join("");
}
