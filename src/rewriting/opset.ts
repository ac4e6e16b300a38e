/** The operator set that converted models are written in: the one that the `bnn` functions are written against. */
export const OPSET = 17;
