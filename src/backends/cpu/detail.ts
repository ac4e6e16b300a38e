/** What `bnn doctor` tells of the `cpu` backend. */
export const CPU_DETAIL = 'plain JavaScript, slow; used on request only';
