// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Tables;

/// <summary>What an entry says.</summary>
/// <param name="Text">A short reading.</param>
/// <param name="Steps">What is wrong with it and where it leads, in the order of the list; taken one at a time, after
/// the violations of its layout.</param>
/// <param name="IsChecked">Whether it is held to its layout.</param>
public readonly record struct EntryReading(string Text, IEnumerable<EntryStep> Steps, bool IsChecked = true);
