// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestDrivers;

/// <summary>A driver whose author forgot the attribute.</summary>
internal sealed class ForgottenDriver : MinimalDriver;
