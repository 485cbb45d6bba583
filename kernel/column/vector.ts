// A vector: at most VECTOR_ROWS values of one column or register, where an inner loop can reach them.
//
// It is what expressions write and what group keys and accumulators read. Values start at row 0 of the
// vector; no offset is left to apply. Validity is a bitmap of its own in 64-bit words whose bits past
// the last row are 0, or 0 when every row is valid: kernels test for 0 and take the branch-free loop.
// A null row's value is undefined but readable.
//
//   fixed-width types  values = elements of the type's width, naturally laid out
//   BOOL               values = bitmap words like validity's
//   BYTES              values = 8-byte views: u32 address, u32 length
//   dictionary codes   type = BYTES, dictionary != 0, values = u32 codes; a code is in range where the row is
//                      valid, and the rows whose dictionary value is null are invalid. Dictionaries of
//                      fixed-width values never get here: LOAD resolves them

/** Offsets of a vector's fields. */
// @ts-ignore: decorator
@unmanaged
export class Vector {
  /** `Type` of the values (of the dictionary's values where there is one). */
  type: u32;
  /** Address of the values. */
  values: usize;
  /** Address of the validity words, or 0. */
  validity: usize;
  /** Address of the dictionary's column descriptor, or 0. */
  dictionary: usize;
  /** DICTIONARY_ID of that dictionary. */
  dictionaryId: u32;
  /** 1 when row 0 stands for every row (a literal); `values` still holds all rows. */
  constant: u32;
  reserved0: u32;
  reserved1: u32;
}

/** Bytes of one `Vector`. */
export const VECTOR_SIZE: usize = 32;

/** Bytes of validity (or of BOOL values) for VECTOR_ROWS rows. */
export const BITMAP_BYTES: usize = 256;
