/** What the server sends to the viewer (app_pages/common/slice_viewer.py), and what it gets back. */

export type Place = { slice: number; row: number; column: number };

export type Window = { name: string; width: number; level: number };

export type Model = {
  name: string;
  probabilities: number[];
  /** From which on a slice is suspicious; null where the model cannot tell. */
  threshold: number | null;
};

export type MapChoice = {
  key: string;
  name: string;
  /** What full colour stands for. */
  scale: string;
  /** How well it points; "" where that was not measured. */
  note: string;
  /** One answer holds the maps of all slices. */
  all: boolean;
};

export type Mark = Place & { label: string };

export type ViewerData = {
  /** Path of the open study on the server. */
  address: string;
  /** Path of NiiVue; null where it was not installed. */
  niivue: string | null;
  study: string;
  /** Rows and columns of each slice, or of all where there is one entry. */
  shapes: [number, number][];
  slices: number;
  pixelType: "int16" | "uint8";
  spacing: [number, number] | null;
  letters: [string, string, string, string] | null;
  positions: number[];
  names: string[];
  step: number | null;
  noPlanes: string;
  /** The slices go from the feet to the head. */
  upwards: boolean;
  turned: string;
  presets: Window[];
  start: number;
  /** A slice to go to; `count` grows with each order. */
  order: { slice: number; count: number };
  models: Model[];
  /** Weight of each slice times the number of slices. */
  attention: number[] | null;
  top: { slice: number; probability: number }[];
  maps: MapChoice[];
  marks: Mark[];
  markable: boolean;
  /** CSS height of the viewer. */
  height: string;
  /** Keys of the page around the viewer. */
  shortcuts: { key: string; meaning: string }[];
  /** Nothing is reported to the server. */
  silent: boolean;
};

export type Component = {
  data: ViewerData;
  parentElement: ShadowRoot | HTMLElement;
  setStateValue: (name: string, value: unknown) => void;
};

/** What the server sends to the sender of files (app_pages/common/study_files.py). */
export type SenderComponent = {
  /** Path that takes the files. */
  data: { address: string };
  parentElement: ShadowRoot | HTMLElement;
  setStateValue: (name: string, value: unknown) => void;
};

/** How a slice lies in the view: millimetres (or pixels) from its middle, and a factor. */
export type View = { zoom: number; panX: number; panY: number };

export type Picture = { rgba: Uint8ClampedArray; rows: number; columns: number; spacing: [number, number] };

export interface Renderer {
  /** Whether rows of a picture are expected from the lowest to the highest. */
  readonly upsideDown: boolean;
  show(picture: Picture): Promise<void> | void;
  look(view: View): void;
  resize(width: number, height: number): void;
  close(): void;
}
