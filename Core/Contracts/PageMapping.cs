// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>One page of 4096 bytes that a page table maps for a process's own accesses.</summary>
/// <param name="Address">Virtual byte address, a multiple of 4096.</param>
/// <param name="Target">Physical byte address, a multiple of 4096.</param>
/// <param name="IsWritable">Whether it may be written.</param>
public readonly record struct PageMapping(ulong Address, ulong Target, bool IsWritable);
