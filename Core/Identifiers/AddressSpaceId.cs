// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Identifiers;

/// <summary>
/// Identity of one address space (the kernel's mm). Two processes that share memory have the same one, a process that
/// has executed another program has a new one; a process id alone says neither (defect B8).
/// </summary>
/// <param name="Value">A number that its process source never uses twice.</param>
public readonly record struct AddressSpaceId(ulong Value)
{
    /// <summary>The number, prefixed by <c>mm</c>.</summary>
    public override string ToString() => Text($"mm{Value}");
}
