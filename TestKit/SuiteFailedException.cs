// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit;

/// <summary>A check of a suite found something wrong; any test framework reports it as a failure.</summary>
public sealed class SuiteFailedException(string message) : Exception(message);
