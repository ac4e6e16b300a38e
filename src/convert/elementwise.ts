/** Operators that work element by element. */

/** Of one value; further inputs are single numbers. */
export const UNARY: readonly string[] = [
  ...['Abs', 'Ceil', 'Clip', 'Elu', 'Erf', 'Exp', 'Floor', 'HardSigmoid', 'HardSwish', 'Identity', 'LeakyRelu', 'Log'],
  ...['Neg', 'Not', 'Reciprocal', 'Relu', 'Round', 'Selu', 'Sigmoid', 'Sign', 'Softplus', 'Softsign', 'Sqrt', 'Tanh'],
  ...['Cast', 'bnn.Sign'],
];

/** Of several values that are broadcast against each other. */
export const BROADCASTING: readonly string[] = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max', 'Sum', 'PRelu', 'Where', 'And', 'Or', 'Xor'],
  ...['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'],
];
