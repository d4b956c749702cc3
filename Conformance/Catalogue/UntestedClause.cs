// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Catalogue;

/// <summary>A clause that the catalogue does not test.</summary>
public sealed record UntestedClause(string Clause, string Reason);
