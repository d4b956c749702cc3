// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Running;

/// <summary>A back end of a run.</summary>
/// <param name="Limits">What a pass on it does not show; may be empty.</param>
public sealed record BackEndNote(string Name, string Limits);
