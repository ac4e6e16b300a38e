/** What a product by matrix units is written in: WGSL of Dawn's subgroup matrices, or of whatever stands in for them. */

export interface MatrixSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly subgroup: number;
}

export interface MatrixOps {
  /** WGSL at the head of the module. */
  readonly directives: string;
  /** Bytes of an element of the type `half`. */
  readonly halfBytes: number;
  /**
   * WGSL of `half`, `fn to_half(x: f32) -> half`, and whatever else the code below needs. Slices of A and B lie in the workgroup arrays `tile_a`
   * [m][k] and `tile_b` [n][k] of `half`, rows `stride` elements apart.
   */
  declarations(sizes: MatrixSizes, stride: number): string;
  /** Parameters of the entry point besides `lid`, and the statements that define `subgroup` and `lane`. */
  readonly parameters: string;
  identity(sizes: MatrixSizes): string;
  /** Declares a sum of zeros. */
  zero(name: string): string;
  /** Declares a matrix of A or B, whose first element is at an index. */
  load(name: string, side: 'a' | 'b', at: string): string;
  /** Adds a product. */
  multiplyAdd(sum: string, a: string, b: string): string;
  /** Writes a sum to the workgroup array `staging`, row after row. */
  store(sum: string, at: string): string;
}

/** Rounding to float16 keeps 11 bits of a number. */
export const INTRINSICS: MatrixOps = {
  directives: 'enable f16;\nenable subgroups;\nenable chromium_experimental_subgroup_matrix;',
  halfBytes: 2,
  declarations: ({ m, n, k }, stride) => `alias half = f16;
fn to_half(x: f32) -> half { return f16(x); }
alias matrix_a = subgroup_matrix_left<f16, ${k}, ${m}>;
alias matrix_b = subgroup_matrix_right<f16, ${n}, ${k}>;
alias matrix_c = subgroup_matrix_result<f32, ${n}, ${m}>;
const STRIDE = ${stride}u;
const COLUMNS_OF_C = ${n}u;`,
  parameters: ', @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32',
  identity: () => '',
  zero: (name) => `var ${name} = matrix_c();`,
  load: (name, side, at) =>
    `let ${name} = subgroupMatrixLoad<matrix_${side}, ${side === 'a' ? 'row_major' : 'col_major'}>(&tile_${side}, ${at}, STRIDE);`,
  multiplyAdd: (sum, a, b) => `${sum} = subgroupMatrixMultiplyAccumulate(${a}, ${b}, ${sum});`,
  store: (sum, at) => `subgroupMatrixStore<row_major>(&staging, ${at}, ${sum}, COLUMNS_OF_C);`,
};
