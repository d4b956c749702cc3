// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Tests;

/// <summary>The comparison of one policy, whose binds fail now and then.</summary>
public sealed class CyclicComparison() : Comparison(["--policy", "core/cyclic"]);
