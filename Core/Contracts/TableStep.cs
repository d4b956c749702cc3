// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>One entry on the way of a walk.</summary>
/// <param name="Structure">Id of its structure.</param>
/// <param name="Address">Its byte address.</param>
/// <param name="Words">Its 64-bit words; empty where it could not be read.</param>
/// <param name="Text">A short reading: what it leads to, or what is wrong.</param>
public sealed record TableStep(string Structure, ulong Address, IReadOnlyList<ulong> Words, string Text);
