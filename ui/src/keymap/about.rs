//! One line on what each action does, for the palette and the help. The keys are in the tables.

use super::Action::{self, *};

/// Returns what an action does, as a whole sentence without its end.
pub(crate) fn about(action: Action) -> &'static str {
    let found = ABOUT.iter().find(|(known, _)| *known == action);
    found.map_or("", |(_, about)| about)
}

const ABOUT: &[(Action, &str)] = &[
    (ShowOverview, "rates, workers, what runs and what ended"),
    (ShowTasks, "the list of all tasks"),
    (ShowResults, "what ended, with what it answered"),
    (ShowWorkers, "the list of the gang"),
    (ShowLog, "what the master says it does"),
    (ShowPrevious, "back to the screen seen before"),
    (NextPane, "to the next list of the overview"),
    (PreviousPane, "to the list of the overview before"),
    (Up, "one row up"),
    (Down, "one row down"),
    (PageUp, "one page up"),
    (PageDown, "one page down"),
    (HalfUp, "half a page up"),
    (HalfDown, "half a page down"),
    (First, "to the first row"),
    (Last, "to the last row"),
    (Open, "everything about it"),
    (Back, "one step back: close, unmark, clear"),
    (Filter, "show only the tasks that match"),
    (Help, "all keys, the filter language, the signs"),
    (Inject, "a form that puts tasks in the queue"),
    (Again, "put the last batch in once more"),
    (Quick, "type one shell line; it becomes a task"),
    (Undo, "take the newest batch back if not begun"),
    (Freeze, "hold this picture while work goes on"),
    (Zoom, "give one list the whole screen"),
    (PauseQueue, "grant nothing from its queue, or go on"),
    (Copy, "put what is selected on the clipboard"),
    (JoinDialog, "the line that brings another machine in"),
    (StartWorker, "a worker on the master's own machine"),
    (Redraw, "draw every cell again"),
    (Suspend, "to the shell; `fg` comes back"),
    (Quit, "one step back; at the bottom leave"),
    (Mark, "mark it; actions are about all marked"),
    (Retry, "put failed or cancelled ones in the queue"),
    (Cancel, "out of the queue; running ones are ended"),
    (PriorityUp, "let it go before others"),
    (PriorityDown, "let others go before it"),
    (Drain, "finish what it holds, take nothing"),
    (Revoke, "refuse its certificate at once, for good"),
    (Submit, "put the form's tasks in the queue"),
    (Accept, "do it"),
    (Yes, "do what the question asks"),
    (No, "do nothing"),
    (NextField, "to the next field"),
    (PreviousField, "to the field before"),
    (RetryNow, "dial the master without waiting"),
    (MarkRange, "mark all rows from here to the cursor"),
    (MarkAll, "mark all tasks that match the filter"),
    (MarkInvert, "mark what is not marked"),
    (SortBy, "choose what the list is sorted by"),
    (SortReverse, "turn the order round"),
    (StateChip, "step through the states that are shown"),
    (RetryAll, "retry all failed ones that match"),
    (Delete, "forget ended ones and their results"),
    (EditCopy, "open the form filled in as this one was"),
    (GoWorker, "to the worker that holds it"),
    (GoBatch, "show its batch"),
    (GoTask, "to the task of this row"),
    (CopyJson, "put it on the clipboard as JSON"),
    (SaveView, "keep the filter under a name"),
    (Columns, "choose which columns are shown"),
    (DetailsPane, "show the selected one below the list"),
    (NextTab, "to the next tab"),
    (PreviousTab, "to the tab before"),
    (Wrap, "break long lines, or cut them"),
    (Times, "show when each line came"),
    (Streams, "standard output, errors, or both"),
    (NextMatch, "to the next match"),
    (PreviousMatch, "to the match before"),
    (PreviousTask, "the same view of the task above"),
    (NextTask, "the same view of the task below"),
    (Search, "find text in what is shown"),
    (Follow, "stay at the newest line"),
    (SaveOutput, "write what is shown to a file"),
    (Identities, "whom the master knows: workers and people"),
    (OpenWorker, "everything about the worker"),
    (MoreSlots, "let it run one more task at once"),
    (FewerSlots, "let it run one task fewer at once"),
    (Why, "why it waits"),
    (Editor, "edit the field in $EDITOR"),
    (SaveTemplate, "keep the filled-in form under a name"),
    (LoadTemplate, "fill the form from one that was kept"),
    (Palette, "find any action or command by its name"),
    (Older, "what was typed before"),
    (Newer, "what was typed after it"),
    (Screenshot, "the screen as it is into an SVG file"),
    (Complete, "fill in what is selected"),
    (Mouse, "give the mouse to the terminal, or back"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keymap::keys;

    #[test]
    fn every_action_says_what_it_does() {
        for binding in keys() {
            let about = about(binding.action);
            assert!(!about.is_empty(), "{:?}", binding.action);
            assert!(crate::text::width(about) <= 42, "{about}");
        }
    }
}
