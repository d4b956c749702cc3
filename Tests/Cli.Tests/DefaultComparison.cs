// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Tests;

/// <summary>The default comparison, run once for all tests that need its files.</summary>
public sealed class DefaultComparison() : Comparison([]);
