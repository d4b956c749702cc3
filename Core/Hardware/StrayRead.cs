// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>A walker read where no live page is.</summary>
/// <param name="Address">Byte address.</param>
/// <param name="WasFreed">Whether a page that was freed was there.</param>
public readonly record struct StrayRead(ulong Address, bool WasFreed);
