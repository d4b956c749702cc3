// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace PasidFramework.Drivers.Reference.Formats;

/// <summary>Fields of one 64-bit word: a register, or the word of a structure that the field lies in.</summary>
internal static class Words
{
    /// <summary>A field's bits, shifted down.</summary>
    public static ulong Get(this ulong word, Field field) => (word >> field.Shift) & field.ValueMask;

    /// <summary>Whether a field of one bit is set.</summary>
    public static bool Has(this ulong word, Field bit) => (word & bit.WordMask) != 0;

    /// <summary>The byte address that a field holds: its place in the word is the address's alignment.</summary>
    public static ulong GetAddress(this ulong word, Field field) => word & field.WordMask;

    /// <summary>The word with a field set that was 0.</summary>
    public static ulong With(this ulong word, Field field, ulong value)
    {
        Debug.Assert((value & ~field.ValueMask) == 0, "the value does not fit its field");
        return word | (value << field.Shift);
    }

    /// <summary>The word with a byte address in a field that was 0.</summary>
    public static ulong WithAddress(this ulong word, Field field, ulong address)
    {
        Debug.Assert((address & ~field.WordMask) == 0, "the address is misaligned or does not fit");
        return word | address;
    }
}
