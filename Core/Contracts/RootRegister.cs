// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>A register or parameter that a table reader starts from.</summary>
/// <param name="Name">The specification's name, such as <c>RTADDR</c>.</param>
/// <param name="IsRequired">Whether the reader needs it.</param>
/// <param name="Meaning">What it says, and the value that is taken where it is missing.</param>
public sealed record RootRegister(string Name, bool IsRequired, string Meaning)
{
    /// <summary>Its byte offset in the unit's registers; null where it is none, such as a parameter of a
    /// request.</summary>
    public int? Offset { get; init; }

    /// <summary>Its size in bytes, 4 or 8.</summary>
    public int Bytes { get; init; } = 8;
}
