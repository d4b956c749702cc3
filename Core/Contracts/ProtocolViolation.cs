// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Contracts;

/// <summary>Something that real hardware punishes in ways that no fault record reports.</summary>
/// <param name="Rule">Short permanent name, such as <c>vtd-stray-read</c>.</param>
/// <param name="Message">What happened, where, and the specification's section.</param>
public sealed record ProtocolViolation(string Rule, string Message);
