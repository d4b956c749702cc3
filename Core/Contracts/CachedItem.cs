// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>One thing in a cache of a model.</summary>
/// <param name="Cache">Which cache, in the specification's words: context-cache, PASID-cache, CD, IOTLB,
/// device-TLB.</param>
/// <param name="Key">Its tags in words: requester, PASID, domain id, ASID, address.</param>
/// <param name="Value">What is cached, in words.</param>
public sealed record CachedItem(string Cache, string Key, string Value);
