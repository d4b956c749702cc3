// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Records;

/// <summary>Something in a structure that its specification forbids.</summary>
/// <param name="Field">The field's mnemonic, or <c>RSVD[msb:lsb]</c>.</param>
/// <param name="Message">What is wrong, with value and limit.</param>
public readonly record struct Violation(string Field, string Message)
{
    public override string ToString() => $"{Field}: {Message}";
}
